//! A real Alertmanager as a child process on loopback, and what it holds.

use serde_json::Value;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

/// A running Alertmanager. Dropped, it is killed.
pub(crate) struct Alertmanager {
    child: Child,
    port: u16,
    http: reqwest::Client,
    _dir: TempDir,
}

impl Alertmanager {
    /// Starts one that routes nothing anywhere, and returns when it answers.
    pub(crate) async fn start() -> Self {
        // Another part of the test may have installed it already, and either is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().expect("a directory");
        let config = dir.path().join("alertmanager.yml");
        std::fs::write(&config, "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n").expect("a file");
        // It cannot be told to take any free port, so one is looked for and let go of.
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus-alertmanager is installed by tests/run");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let alertmanager = Self { child, port, http, _dir: dir };
        alertmanager.until("it answers", |_| true).await;
        alertmanager
    }

    /// `http://127.0.0.1:port`
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until the alerts that fire satisfy `enough`, and returns them.
    pub(crate) async fn until(&self, what: &str, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let wait = async {
            loop {
                let answer = self.http.get(format!("{}/api/v2/alerts?active=true", self.url())).send().await;
                if let Ok(answer) = answer
                    && let Ok(alerts) = answer.json::<Vec<Value>>().await
                    && enough(&alerts)
                {
                    return alerts;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("Alertmanager: waited in vain until {what}"))
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
