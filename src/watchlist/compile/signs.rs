//! `[console]` and `[heartbeat.X]`: address of the metrics and readiness server, and heartbeat targets.

use crate::heartbeat::{self, HeartbeatTarget};
use crate::settings::{At, Problems};
use crate::watchlist::file::{ConsoleText, HeartbeatText};
use std::net::SocketAddr;

/// Returns the address that the console listens on, if it is configured.
pub(super) fn compile_console_address(text: Option<&ConsoleText<'_>>, problems: &mut Problems) -> Option<SocketAddr> {
    let listen: &At<&str> = text?.listen.as_ref()?;
    match listen.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            let hint = "write an address of this machine and a port, such as \"127.0.0.1:9464\" or \"[::1]:9464\"";
            problems.push(listen.problem(format!("`{}` is nothing to listen on", **listen)).with_hint(hint));
            None
        }
    }
}

/// Returns the targets of our heartbeat, in the order of the file.
pub(super) fn compile_heartbeats(texts: Vec<HeartbeatText<'_>>, problems: &mut Problems) -> Vec<HeartbeatTarget> {
    texts.into_iter().filter_map(|text| heartbeat::parse_heartbeat(text.name.value, text.table, problems)).collect()
}
