//! Whole flavours and real peers, each test on a throw-away host in a network namespace of its own.

mod command;
mod kubenet;
mod programs;
mod store_with_go;
