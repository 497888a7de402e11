"""The commands of `pegbox`, one file each. Imported by cli only once a command was chosen, so that help is fast."""
