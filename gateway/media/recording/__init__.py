"""Recordings and captures: what the plane copies of a call, written by a thread that no packet and no call awaits."""
