//! A network with two ends: this machine, and a namespace of its own in which a worker stands as if on another machine. What
//! is sent from one end to the other can be lost on the way: frames then go to an address that nobody has.

use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::choices::Choices;
use super::need::{can, must};

/// Hardware addresses of the two ends, and one that nobody has.
const NEAR: &str = "02:00:5e:10:00:01";
const FAR: &str = "02:00:5e:10:00:02";
const NOBODY: &str = "02:00:5e:10:00:ff";
/// How long a lossy way is good or bad at a time.
const MOMENT: Duration = Duration::from_millis(20);

/// Ways that lose what is sent on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Nothing gets through.
    Both,
    /// What the far end sends.
    FromFar,
    /// What is sent to the far end.
    ToFar,
}

/// The network. Gone when dropped.
pub struct Net {
    name: String,
    number: u32,
    /// Change what this machine, and the far end, take for each other's hardware address.
    ends: [End; 2],
}

/// An `ip` that does what it is told, line by line.
struct End {
    child: Child,
    lines: Option<ChildStdin>,
    /// Where it sends to: who is there, over which device, and the true hardware address.
    way: (Ipv4Addr, String, &'static str),
}

impl Net {
    /// Whether this machine can have one.
    pub fn can(story: &str) -> bool {
        can(story, "the program ip", "ip", &["-V"]) && can(story, "network namespaces", "unshare", &["--net", "true"])
    }

    /// Makes one.
    pub fn new() -> Self {
        // Stories of other runs may be told at the same time.
        let number = std::process::id() % 250;
        let name = format!("tasklane-{number}");
        let (near, far) = (format!("tl{number}n"), format!("tl{number}f"));
        // What a run that was killed left behind.
        let _ = Command::new("ip").args(["netns", "del", &name]).stderr(Stdio::null()).status();
        let ip = |line: &str| drop(must("ip", &line.split(' ').collect::<Vec<_>>()));
        ip(&format!("netns add {name}"));
        ip(&format!("link add {near} address {NEAR} type veth peer name {far} address {FAR} netns {name}"));
        let [at_near, at_far] = [1, 2].map(|host| Ipv4Addr::new(10, 213, number as u8, host));
        ip(&format!("addr add {at_near}/30 dev {near}"));
        ip(&format!("-n {name} addr add {at_far}/30 dev {far}"));
        ip(&format!("link set {near} up"));
        ip(&format!("-n {name} link set {far} up"));
        let ends = [End::new(&[], (at_far, near, FAR)), End::new(&["-n", &name], (at_near, far, NEAR))];
        let mut net = Self { name, number, ends };
        net.heal();
        net
    }

    /// This machine as the far end knows it.
    pub fn near(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, self.number as u8, 1)
    }

    /// The same program, at the far end.
    pub fn far(&self, command: &Command) -> Command {
        let mut there = Command::new("ip");
        there.args(["netns", "exec", &self.name]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => there.env(name, value),
                None => there.env_remove(name),
            };
        }
        there
    }

    /// From now on that is lost.
    pub fn lose(&mut self, lost: Lost) {
        let [near, far] = &mut self.ends;
        near.send_to(if lost == Lost::FromFar { near.way.2 } else { NOBODY });
        far.send_to(if lost == Lost::ToFar { far.way.2 } else { NOBODY });
    }

    /// From now on nothing is lost.
    pub fn heal(&mut self) {
        self.ends.iter_mut().for_each(|end| end.send_to(end.way.2));
    }

    /// For so long everything is lost in so many of a hundred moments, each way for itself.
    pub fn lose_some(&mut self, percent: u64, time: Duration, choices: &mut Choices) {
        let start = Instant::now();
        while start.elapsed() < time {
            for end in &mut self.ends {
                end.send_to(if choices.next(100) < percent { NOBODY } else { end.way.2 });
            }
            thread::sleep(MOMENT);
        }
        self.heal();
    }
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}

impl End {
    fn new(place: &[&str], way: (Ipv4Addr, String, &'static str)) -> Self {
        let mut command = Command::new("ip");
        command.args(place).args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = child.stdin.take();
        Self { child, lines, way }
    }

    /// Frames go to this hardware address from now on.
    fn send_to(&mut self, hardware: &str) {
        let (whom, device, _) = &self.way;
        let line = format!("neigh replace {whom} lladdr {hardware} dev {device} nud permanent\n");
        self.lines.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }
}

impl Drop for End {
    fn drop(&mut self) {
        drop(self.lines.take());
        let _ = self.child.wait();
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // The devices go with the namespace that one of them stands in.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}
