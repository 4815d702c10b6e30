"""`make demo`: the seed network under lvsguard, live, with the numbers measured on the way."""
