"""ASKS realservers: one file per kind of check, the prober that times them, its process."""
