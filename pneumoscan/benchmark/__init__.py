"""How near a scan comes to what nobody can avoid: decoding the pictures, and running the network.

Every stage runs in a process of its own, on the same files, one after the other and again in the next round, so that
what a machine does besides hits all alike. What counts are the ratios within a round.
"""
