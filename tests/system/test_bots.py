"""A bot that was written for Twilio takes a call of ours, unmodified: it greets, hears, is interrupted, and leaves."""

from __future__ import annotations

from pathlib import Path

from tests.system import g711
from tests.system.house import configuration, house
from tests.system.phone import Phone
from tests.unit.plugs.bots import WORDS, played

TONE = bytes([0x9E, 0x8B, 0x80, 0x8B, 0x9E, 0x1E, 0x0B, 0x00, 0x0B, 0x1E] * 16)


async def test_a_twilio_bot_on_the_telephone(tmp_path: Path) -> None:
    async with played(WORDS["twilio"]) as (bot, url):
        config = configuration()
        config["plugs"]["bot"] = {"kind": "twilio", "url": url, "parameters": {"customer": "42"}}
        config["routes"].append({"to": "bot", "plug": "bot"})
        async with house(tmp_path, config) as built:
            phone = await Phone(built.sip, "bot").dial()
            await bot.until(lambda: any(bot.words.begun(message) for message in bot.texts()))
            start = bot.texts()[1]["start"]
            assert start["customParameters"]["customer"] == "42"
            await phone.talk([TONE] * 25)
            await bot.until(lambda: len(bot.audio) >= 20 * 160)
            assert g711.rms(g711.decode(bot.audio[1600:3200])) > 1000
            assert bot.words.mark is not None
            await bot.say(bot.words.play(TONE * 25))
            await bot.say(bot.words.mark)
            await phone.packets(lambda heard: sum(packet.level > 1000 for packet in heard) >= 20)
            await bot.until(lambda: any(bot.words.marked(message) for message in bot.texts()))
            await bot.leave()
            await phone.asked("BYE")
            ended = await built.gateway.line("call.ended")
            assert (ended["by"], ended["plug"]) == ("local", "bot")
            assert (await built.gateway.line("bot.connected"))["bot_call"] in start["callSid"]
