//! A node's socket on this machine, between a real node and us: cut, and put back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// Stands where the node's socket is looked for. Dropped, it lets nobody in any more.
pub(crate) struct Relay {
    path: PathBuf,
    cuts: Arc<watch::Sender<u32>>,
    _accepting: tokio_util::task::AbortOnDropHandle<()>,
}

impl Relay {
    /// A relay at `path` to the socket at `node`.
    pub(crate) fn start(path: &Path, node: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("a socket");
        let cuts = Arc::new(watch::Sender::new(0));
        let (sender, node) = (cuts.clone(), node.to_owned());
        let accepting = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (mut cut, node) = (sender.subscribe(), node.clone());
                cut.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut far) = UnixStream::connect(node).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        let accepting = tokio_util::task::AbortOnDropHandle::new(accepting);
        Self { path: path.to_owned(), cuts, _accepting: accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("ipc://{}", self.path.display())
    }

    /// Cuts every connection there is.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|n| *n += 1);
    }
}
