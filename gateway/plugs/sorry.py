"""The sentence for the worst case where none is configured: the recording's words, in the languages of most callers."""

from __future__ import annotations

from typing import Final

__all__ = ["built_in_apology"]

_SENTENCES: Final = {
    "cs": "Omlouváme se, momentálně vám nemůžeme pomoci. Zavolejte prosím později.",
    "da": "Vi beklager, vi kan ikke hjælpe dig i øjeblikket. Ring venligst igen senere.",
    "de": "Es tut uns leid, wir können Ihnen im Moment nicht helfen. Bitte rufen Sie später noch einmal an.",
    "es": "Lo sentimos, en este momento no podemos ayudarle. Por favor, vuelva a llamar más tarde.",
    "fr": "Nous sommes désolés, nous ne pouvons pas vous aider pour le moment. Veuillez rappeler plus tard.",
    "it": "Siamo spiacenti, al momento non possiamo aiutarla. La preghiamo di richiamare più tardi.",
    "nl": "Het spijt ons, we kunnen u op dit moment niet helpen. Belt u later nog eens terug.",
    "pl": "Przepraszamy, w tej chwili nie możemy pomóc. Prosimy zadzwonić później.",
    "pt": "Lamentamos, mas neste momento não podemos ajudar. Por favor, volte a ligar mais tarde.",
    "sv": "Vi beklagar, vi kan inte hjälpa dig just nu. Ring gärna igen senare.",
}
"""English is the recording that comes with the gateway."""


def built_in_apology(language: str) -> str:
    """To be synthesised at start; empty where the recording is all there is."""
    return _SENTENCES.get(language.lower().partition("-")[0], "")
