"""The edge: sockets and the clock. ``driver`` runs a machine, ``endpoint`` one of SIP on its transports
(``transport`` is their contract, ``sip_udp`` and ``sip_tcp`` are two), ``resolver`` finds peers."""
