# Policy routing for Écluse. Made by `ecluse nftables --routing`; run with `sh`, as root.
ip -4 rule del fwmark 3130 lookup 3130 2> /dev/null || true
ip -4 rule add fwmark 3130 lookup 3130
ip -4 route replace local 0.0.0.0/0 dev lo table 3130
ip -6 rule del fwmark 3130 lookup 3130 2> /dev/null || true
ip -6 rule add fwmark 3130 lookup 3130
ip -6 route replace local ::/0 dev lo table 3130
