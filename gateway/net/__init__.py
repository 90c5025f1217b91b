"""The edge: sockets and the clock. ``driver`` runs a machine, ``sip_udp`` carries SIP, ``resolver`` finds peers."""
