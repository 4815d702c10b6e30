"""SETS UP and checks the realserver side: the VIP without ARP."""
