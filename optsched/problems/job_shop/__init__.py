"""Job shop scheduling: classic and flexible, with the side constraints of real shops."""
