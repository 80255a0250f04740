"""Where answers that can be had again are kept: in this process, or in Redis with this process as its stand-in."""
