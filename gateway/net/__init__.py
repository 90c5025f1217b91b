"""The edge: sockets and the clock. ``driver`` runs a machine, ``endpoint`` one of SIP on its transports
(``transport`` is their contract, ``sip_udp``, ``sip_tcp``, ``sip_tls`` are ours), ``resolver`` finds peers."""
