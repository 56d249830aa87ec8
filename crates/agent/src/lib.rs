//! Agent: opens what was sealed for this machine and changes root's shadow entry.
