//! A second cluster that follows a first.

use std::path::Path;
use std::time::Duration;

use super::cluster::Cluster;
use super::programs::{command, run};
use crate::process::until;

/// Longest time a standby may take to catch up.
const PATIENCE: Duration = Duration::from_secs(30);
/// The name by which the first cluster knows its standby.
const NAME: &str = "tasklane_standby";

impl Cluster {
    /// A standby of this cluster, caught up and synchronous: from now on a commit is answered once both have it on disk.
    pub fn standby(&self) -> Self {
        let lines = |dir: &Path| {
            let own = std::fs::read_to_string(self.dir().join("data/tasklane.conf")).expect("the first one's settings");
            own.replace(&self.dir().display().to_string(), &dir.display().to_string()) + "hot_standby = on\n"
        };
        let parent = self.dir().parent();
        let standby = Self::make(parent, lines, |data| {
            let mut backup = command("pg_basebackup", Path::new("/"));
            let source = format!("{}?application_name={NAME}", self.url());
            backup.args(["-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", &source, "-D"]);
            run(backup.arg(data));
        });
        self.wait_for(NAME);
        standby
    }

    /// Commits no longer wait for the standby.
    pub fn without_standby(&self) {
        self.sql("ALTER SYSTEM RESET synchronous_standby_names");
        self.reload();
    }

    fn wait_for(&self, name: &str) {
        self.sql(&format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'"));
        self.reload();
        let sync = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'";
        until("the standby to be synchronous", PATIENCE, || (self.sql(sync) == "1").then_some(()));
    }
}
