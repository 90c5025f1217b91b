"""Bots that speak a media-stream protocol plug in unmodified: the gateway plays the telephone platform they expect."""
