"""An agent whose answers come exactly as late as it was told: what the bench measures is held against it.

options    how late, and whatever else it does    sound   what it says, known to the sample
call       one call                               agent   the SIP endpoint and media plane around them
"""
