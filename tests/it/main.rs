//! The tests through the public face only: the library as an embedder sees it, the binary as a shell sees it.

mod admin;
mod aggregate;
mod backup_commands;
mod backups;
mod bench;
mod calls;
mod contract;
mod credentials;
mod embedded;
mod end_to_end;
mod fixture;
mod full_disk;
mod harness;
mod import;
mod kill;
mod names;
mod openapi;
mod policies;
mod readback;
mod rules;
mod serve;
mod verify;
mod windows;
mod wire;
