"""The shell: reads, asks the core, writes. The only place where effects meet decisions."""
