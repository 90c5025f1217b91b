"""Synthetic callers: what each does, says and hears.

steps, scenario   what a caller does, from YAML    speech, voice   its words, made ahead of time
impairments       what its line does to packets    description     its side of offer and answer
script            the steps of one call            caller          the call around them
ear               what it hears, and when          recording       the call as a stereo file
host              the SIP endpoint and media plane of all callers of a process
through           the way out through a trunk of a configuration

    async with CallerHost(await find("sip:pizza@127.0.0.1:5060")) as host:
        scenario = load_scenario("pizza")
        clips = await clips_for(scenario, models_url)          # ahead of time; shared by all callers
        caller = host.caller(scenario, clips, ticket=Ticket(number=1, seed=7, phase="steady", due=due))
        result = await host.run(caller, record=Path("1.wav"))  # never raises for what the far end does
        entry = call_entry(result, origin)                     # as the run file wants it
"""
