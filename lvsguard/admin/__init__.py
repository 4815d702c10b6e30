"""ANSWERS: the admin socket, its protocol and client, the journal."""
