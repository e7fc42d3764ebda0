"""Live: a continuation that plays while you play.

`stream` holds `Stream`, from blocks of the player's sound to blocks of ours; `events` has its units
as they begin and end. `sounds` prepares the
corpus for settings that change, `mixing` mixes units whose ends are not known yet. `engine` runs a
stream beside an audio thread or from file to file, `recording` keeps what was played, `osc` and
`midi` have the parameters by OSC and MIDI, and `device` the sound card.
"""

from desc.live.events import StreamEvent
from desc.live.stream import Stream

__all__ = ["Stream", "StreamEvent"]
