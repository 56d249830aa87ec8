//! Looks at every state that a model can reach, breadth first: so a counterexample is as short as
//! there is one.
//!
//! Of a visited state a fingerprint of 64 bits is kept. Among ten million states the chance that two
//! have the same one, and that the second is not looked at, is about one in 370,000.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Display};
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// What can be explored.
pub trait Model {
    /// Everything at one moment.
    type State: Clone + Hash + Display;
    /// One thing that happens.
    type Step: Display;

    /// Where it begins.
    fn initial(&self) -> Self::State;

    /// The one that stands for all states that are like this one.
    fn standing_for(&self, state: &Self::State) -> Self::State;

    /// What may happen next. The same each time it is asked.
    fn steps(&self, state: &Self::State) -> Vec<Self::Step>;

    /// Something that no run can count on: a crash, a loss. A run that only these could go on with
    /// has ended.
    fn is_fault(step: &Self::Step) -> bool;

    /// What the step makes of the state.
    fn take(&self, state: &Self::State, step: &Self::Step) -> Self::State;

    /// The promise that the step breaks.
    fn broken_by(&self, before: &Self::State, after: &Self::State) -> Option<&'static str>;

    /// The promise that is broken where a run ends.
    fn broken_at_end(&self, end: &Self::State) -> Option<&'static str>;
}

/// All of it was looked at, and every promise holds.
#[derive(Clone, Copy, Debug)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Steps from one to another.
    pub steps: usize,
    /// The farthest state is so many steps from the beginning.
    pub depth: usize,
    /// States in which a run ends.
    pub ends: usize,
    /// How long it took.
    pub took: Duration,
}

/// How it went wrong.
#[derive(Debug)]
pub enum Failure {
    /// A run that breaks a promise.
    Counterexample {
        /// The promise.
        broken: &'static str,
        /// The run: what happened and what it led to, one line each.
        run: Vec<String>,
        /// So many states were looked at until then.
        states: usize,
    },
    /// So many states can be on a run without an end.
    Endless(usize),
    /// More states than were allowed.
    TooMany(usize),
}

/// Where a state was reached from, and by which of the steps from there.
type Origin = (u32, u32);

/// A fingerprint is a hash already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

struct Search<'a, M: Model> {
    model: &'a M,
    numbers: HashMap<u64, u32, BuildHasherDefault<Identity>>,
    origins: Vec<Origin>,
    /// For each state, in the order of their numbers: how many steps lead away from it, and whereto.
    fans: Vec<u32>,
    targets: Vec<u32>,
    frontier: VecDeque<M::State>,
    ends: usize,
}

/// Looks at every state, at most `most`.
pub fn explore<M: Model>(model: &M, most: usize) -> Result<Explored, Failure> {
    let begin = Instant::now();
    let mut search = Search {
        model,
        numbers: HashMap::default(),
        origins: Vec::new(),
        fans: Vec::new(),
        targets: Vec::new(),
        frontier: VecDeque::new(),
        ends: 0,
    };
    search.meet(model.initial(), (0, 0));
    let (mut depth, mut level) = (0, 1);
    for number in 0.. {
        if number == level {
            // The last state of this distance is done: all of the next are known.
            level = search.origins.len();
            depth += usize::from(number < level);
        }
        let Some(state) = search.frontier.pop_front() else { break };
        search.expand(number, &state)?;
        if search.origins.len() > most {
            return Err(Failure::TooMany(most));
        }
    }
    search.check_every_run_ends()?;
    let (states, steps) = (search.origins.len(), search.targets.len());
    Ok(Explored { states, steps, depth, ends: search.ends, took: begin.elapsed() })
}

impl<M: Model> Search<'_, M> {
    /// Takes every step from a state.
    fn expand(&mut self, number: usize, state: &M::State) -> Result<(), Failure> {
        let steps = self.model.steps(state);
        if steps.iter().all(M::is_fault) {
            self.ends += 1;
            if let Some(broken) = self.model.broken_at_end(state) {
                return Err(self.counterexample(broken, number, None));
            }
        }
        for (index, step) in steps.iter().enumerate() {
            let after = self.model.take(state, step);
            if let Some(broken) = self.model.broken_by(state, &after) {
                return Err(self.counterexample(broken, number, Some(index)));
            }
            let target = self.meet(after, (short(number), short(index)));
            self.targets.push(target);
        }
        self.fans.push(short(steps.len()));
        Ok(())
    }

    /// The state's number; a new one is to be looked at.
    fn meet(&mut self, state: M::State, origin: Origin) -> u32 {
        let mut hasher = DefaultHasher::new();
        self.model.standing_for(&state).hash(&mut hasher);
        let next = short(self.origins.len());
        match self.numbers.entry(hasher.finish()) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                new.insert(next);
                self.origins.push(origin);
                self.frontier.push_back(state);
                next
            }
        }
    }

    /// The run that leads to a state, and one step further.
    fn counterexample(&self, broken: &'static str, last: usize, step: Option<usize>) -> Failure {
        let mut choices: Vec<usize> = step.into_iter().collect();
        let mut number = last;
        while number != 0 {
            let (from, index) = self.origins[number];
            choices.push(index as usize);
            number = from as usize;
        }
        let mut state = self.model.initial();
        let mut run = vec![state.to_string()];
        for index in choices.into_iter().rev() {
            let step = &self.model.steps(&state)[index];
            let after = self.model.take(&state, step);
            run.push(step.to_string());
            if after.to_string() != state.to_string() {
                run.push(after.to_string());
            }
            state = after;
        }
        Failure::Counterexample { broken, run, states: self.origins.len() }
    }

    /// No state is reached again from itself: takes away, again and again, those that no remaining
    /// step leads to (Kahn's order). What cannot be taken away is on or behind a circle.
    fn check_every_run_ends(&self) -> Result<(), Failure> {
        let mut before = vec![0_u32; self.origins.len()];
        self.targets.iter().for_each(|&target| before[target as usize] += 1);
        let mut starts = vec![0_usize];
        starts.extend(self.fans.iter().scan(0, |sum, &fan| {
            *sum += fan as usize;
            Some(*sum)
        }));
        let mut free: Vec<usize> = (0..before.len()).filter(|&n| before[n] == 0).collect();
        let mut left = before.len();
        while let Some(number) = free.pop() {
            left -= 1;
            for &target in &self.targets[starts[number]..starts[number + 1]] {
                let waiting = &mut before[target as usize];
                *waiting -= 1;
                if *waiting == 0 {
                    free.push(target as usize);
                }
            }
        }
        if left == 0 { Ok(()) } else { Err(Failure::Endless(left)) }
    }
}

/// States are counted in 32 bits; memory ends long before.
fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, steps, depth, ends, took } = self;
        let took = took.as_secs_f32();
        write!(f, "{states} states, {steps} steps, depth {depth}, {ends} ends, {took:.1} s")
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counterexample { broken, run, states } => {
                writeln!(f, "broken, found after {states} states: {broken}")?;
                run.iter().try_for_each(|line| writeln!(f, "  {line}"))
            }
            Self::Endless(states) => write!(f, "{states} states are on runs without an end"),
            Self::TooMany(most) => write!(f, "more than {most} states"),
        }
    }
}
