//! Random batches of every verb, in small numbers that shrink well.

use proptest::prelude::*;

/// A new task, in small numbers that choose its parts.
#[derive(Debug, Clone)]
pub struct New {
    pub lane: u8,
    pub tenant: u8,
    pub priority: i8,
    pub delay: Option<u8>,
    pub end: Option<u8>,
    pub start: Option<u8>,
    pub unique: Option<(u8, u8, Option<u8>)>,
    pub idempotency: Option<(u8, u8)>,
    pub same_id: Option<(u8, u8)>,
    pub attempts: u8,
    pub timeouts: (Option<u8>, Option<u8>),
    pub size: u16,
    /// Keys of gates, and which bounds each is given.
    pub limits: Vec<(u8, u8)>,
}

#[derive(Debug, Clone)]
pub enum Report {
    Success(u16),
    Failure(u8, bool, Option<u8>),
    Snooze(u8),
    Release,
    Cancelled,
}

/// A change of a record, in small numbers that choose its parts.
#[derive(Debug, Clone)]
pub struct Set {
    pub which: u8,
    /// Whether what it says it has seen is what there is.
    pub has_seen: bool,
    /// Its tenant and name; `None` removes it.
    pub to: Option<(u8, u8)>,
    pub due: Option<u8>,
    pub slot: u8,
    pub then: Option<New>,
}

#[derive(Debug, Clone)]
pub enum Command {
    Accept(Vec<New>),
    Lease {
        limit: u8,
        lanes: u8,
        length: u8,
    },
    Report(u8, Report, Option<New>),
    Renew(u8),
    Progress(u8, Option<u8>),
    Grace(u8),
    Log(u8, u8, u8),
    Checkpoint(u8, u8, u16),
    Hand(u8, u8, u8),
    Control(u8, u8),
    Gate(u8, u8),
    Record(Set),
    /// Who is told of the commit.
    Subscribe(u8),
    Promote(u8),
    Rescue(u8),
    Sweep(u8, u8),
}

impl New {
    pub fn calls_back(&self) -> bool {
        self.size % 8 == 3
    }
}

impl Command {
    /// Whether deliveries may follow.
    pub fn delivers(&self) -> bool {
        match self {
            Self::Accept(tasks) => tasks.iter().any(New::calls_back),
            Self::Report(.., then) | Self::Record(Set { then, .. }) => then.as_ref().is_some_and(New::calls_back),
            Self::Subscribe(_) => true,
            _ => false,
        }
    }
}

#[derive(Debug, Clone)]
pub enum Step {
    Commit(Vec<Command>),
    Pass(u16),
    Reopen,
}

fn limits() -> impl Strategy<Value = Vec<(u8, u8)>> {
    proptest::collection::vec((0..3_u8, 0..7_u8), 0..3)
}

pub fn new() -> impl Strategy<Value = New> {
    let seldom = |most: u8| proptest::option::weighted(0.15, 0..most);
    (
        (0..6_u8, 0..3_u8, -1..2_i8, 0..4_u8, 0..700_u16),
        (seldom(20), seldom(40), seldom(20)),
        proptest::option::weighted(0.2, (0..3_u8, 0..3_u8, proptest::option::of(0..60_u8))),
        proptest::option::weighted(0.1, (0..4_u8, 0..2_u8)),
        proptest::option::weighted(0.1, (any::<u8>(), 0..2_u8)),
        (proptest::option::weighted(0.15, 1..20_u8), proptest::option::weighted(0.15, 1..20_u8)),
        limits(),
    )
        .prop_map(
            |(
                (lane, tenant, priority, attempts, size),
                (delay, end, start),
                unique,
                idempotency,
                same_id,
                timeouts,
                limits,
            )| {
                New {
                    lane,
                    tenant,
                    priority,
                    delay,
                    end,
                    start,
                    unique,
                    idempotency,
                    same_id,
                    attempts,
                    timeouts,
                    size,
                    limits,
                }
            },
        )
}

pub fn report() -> impl Strategy<Value = Report> {
    prop_oneof![
        4 => (0..600_u16).prop_map(Report::Success),
        3 => (0..9_u8, any::<bool>(), proptest::option::of(0..30_u8)).prop_map(|(k, r, a)| Report::Failure(k, r, a)),
        1 => (0..20_u8).prop_map(Report::Snooze),
        1 => Just(Report::Release),
        1 => Just(Report::Cancelled),
    ]
}

pub fn command() -> impl Strategy<Value = Command> {
    let gate = (0..7_u8, 0..16_u8).prop_map(|(which, how)| Command::Gate(which, how));
    prop_oneof![40 => plain_command(), 2 => gate, 3 => set().prop_map(Command::Record), 4 => (0..3_u8).prop_map(Command::Subscribe)]
}

fn set() -> impl Strategy<Value = Set> {
    let to = proptest::option::weighted(0.8, (0..2_u8, 0..4_u8));
    let (due, then) = (proptest::option::of(0..60_u8), proptest::option::weighted(0.3, new()));
    let one = (0..4_u8, proptest::bool::weighted(0.8), to, due, 0..9_u8, then);
    one.prop_map(|(which, has_seen, to, due, slot, then)| Set { which, has_seen, to, due, slot, then })
}

fn plain_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        6 => proptest::collection::vec(new(), 0..5).prop_map(Command::Accept),
        6 => (0..6_u8, 0..5_u8, 1..90_u8).prop_map(|(limit, lanes, length)| Command::Lease { limit, lanes, length }),
        6 => (any::<u8>(), report(), proptest::option::weighted(0.1, new())).prop_map(|(n, r, t)| Command::Report(n, r, t)),
        2 => any::<u8>().prop_map(Command::Renew),
        2 => (any::<u8>(), proptest::option::of(0..100_u8)).prop_map(|(n, p)| Command::Progress(n, p)),
        1 => any::<u8>().prop_map(Command::Grace),
        3 => (any::<u8>(), 0..20_u8, 0..5_u8).prop_map(|(n, from, many)| Command::Log(n, from, many)),
        2 => (any::<u8>(), 0..3_u8, 0..500_u16).prop_map(|(n, name, size)| Command::Checkpoint(n, name, size)),
        4 => (any::<u8>(), 0..9_u8, 0..20_u8).prop_map(|(n, hand, after)| Command::Hand(n, hand, after)),
        1 => (0..4_u8, 0..3_u8).prop_map(|(queue, state)| Command::Control(queue, state)),
        3 => (0..9_u8).prop_map(Command::Promote),
        3 => (0..9_u8).prop_map(Command::Rescue),
        1 => (1..9_u8, 0..3_u8).prop_map(|(limit, how)| Command::Sweep(limit, how)),
    ]
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => proptest::collection::vec(command(), 0..5).prop_map(Step::Commit),
        5 => (0..40_000_u16).prop_map(Step::Pass),
        1 => Just(Step::Reopen),
    ]
}
