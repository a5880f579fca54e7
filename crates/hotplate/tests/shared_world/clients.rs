//! The clients of a world: a request from its first lookup to its end.

use std::sync::Arc;

use bytes::Bytes;
use hotplate::cache::Outcome;
use hotplate::clock::Clock;
use hotplate::config::RuleId;
use hotplate::exchange::{Lookup, Partition, Round, Seek};
use hotplate::fill::End;
use hotplate::share::Sought;

use crate::answer::Answer;
use crate::ask::{Ask, get};
use crate::reply::Reply;
use crate::tasks::{Task, Work};
use crate::world::{Client, ClientId, Standing, World};

impl World {
    /// One request, up to where something has to be polled or the application has to answer.
    pub fn begin(&mut self, process: usize, ask: Ask) -> ClientId {
        let client = ClientId(self.clients.len());
        self.clients.push(Client {
            process,
            ask,
            standing: Standing::Waiting,
            answer: Answer::default(),
            raised: None,
            waits: 0,
            since: self.clock.now(),
            seek: None,
        });
        self.look_up(client, Round::default(), None);
        self.gather();
        client
    }

    /// As [`World::begin`], and then everything that can run without the application.
    pub fn ask(&mut self, process: usize, ask: Ask) -> ClientId {
        let client = self.begin(process, ask);
        self.settle();
        client
    }

    /// One request, played to its end; the application answers `reply` where it is asked.
    pub fn send(&mut self, process: usize, ask: Ask, reply: &Reply) -> Answer {
        let client = self.ask(process, ask);
        while let Some(load) = self.load_of(client) {
            self.finish_with(load, reply);
            self.settle();
        }
        assert_eq!(self.standing(client), Standing::Answered, "the client got no whole answer");
        self.answer(client).clone()
    }

    /// One request that must be answered without the application.
    pub fn found(&mut self, process: usize, path: &str) -> Answer {
        let runs = self.runs();
        let client = self.ask(process, get(path));
        assert_eq!(self.standing(client), Standing::Answered, "nothing usable was found");
        assert_eq!(self.runs(), runs + self.refreshes_run_since(runs), "the application ran");
        self.answer(client).clone()
    }

    pub fn standing(&self, client: ClientId) -> Standing {
        self.clients[client.0].standing
    }

    pub fn answer(&self, client: ClientId) -> &Answer {
        &self.clients[client.0].answer
    }

    /// Polls the lookup of a client in the shared tier once; `false` if there is none.
    pub fn poll_lookup_of(&mut self, client: ClientId) -> bool {
        let own = |task: &Task| matches!(task.work, Work::Seek(own, _) if own == client);
        let its = self.tasks.iter().position(own);
        if let Some(its) = its {
            self.poll(its);
        }
        its.is_some()
    }

    /// The clients that seek or wait.
    pub fn patient(&self) -> Vec<ClientId> {
        (0..self.clients.len())
            .filter(|client| matches!(self.clients[*client].standing, Standing::Waiting | Standing::Seeking))
            .map(ClientId)
            .collect()
    }

    /// The deadline of a client that seeks or waits passes.
    pub fn time_out(&mut self, client: ClientId) {
        self.tell(|| format!("{client:?} times out"));
        self.forsake(client, false);
        let known = &mut self.clients[client.0];
        known.waits += 1;
        let seek = known.seek.take();
        let round = Round {
            timed_out: true,
            waits: known.waits,
            since: Some(known.since),
            ..Round::<Bytes>::default()
        };
        self.look_up(client, round, None);
        drop(seek);
        self.gather();
    }

    /// A client that seeks or waits goes away. `goes_on`: what it looked for is found all the same, by nobody.
    pub fn leave(&mut self, client: ClientId, goes_on: bool) {
        self.tell(|| format!("{client:?} leaves"));
        self.clients[client.0].standing = Standing::Gone;
        self.clients[client.0].seek = None;
        self.forsake(client, goes_on);
        self.gather();
    }

    fn forsake(&mut self, client: ClientId, goes_on: bool) {
        let its = self
            .tasks
            .iter()
            .position(|task| matches!(&task.work, Work::Seek(own, _) | Work::Wait(own, _) if *own == client));
        let task = self.tasks.remove(its.expect("a client that seeks or waits"));
        if let (Work::Seek(_, job), true) = (task.work, goes_on) {
            self.tasks.push(Task::new(task.process, Work::Forsaken(job)));
        }
    }

    pub fn look_up(
        &mut self,
        client: ClientId,
        mut round: Round<Bytes>,
        mut sought: Option<(Seek<Bytes>, Sought)>,
    ) {
        loop {
            let ask = self.clients[client.0].ask.clone();
            let process = self.clients[client.0].process;
            let http = Arc::clone(&self.processes[process].http);
            let lines: Vec<(&[u8], &[u8])> =
                ask.fields.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect();
            let request = ask.request(&lines, round.body_refused);
            let mut partition = |_: RuleId| ask.partition.clone().unwrap_or(Partition::Refused);
            let now = self.clock.now();
            let lease = matches!(&sought, Some((_, Sought::Lease(_))));
            let words = sought.as_ref().map_or_else(
                || round.end.as_ref().map_or("asks", |end| end_word(end)),
                |(_, sought)| word(sought),
            );
            let found = match sought.take() {
                Some((seek, sought)) => http.resume(&request, &round, now, &mut partition, seek, sought),
                None => http.lookup(&request, &round, now, &mut partition),
            };
            self.tell(|| {
                format!("{client:?} of {process}, {} : {words} => {}", ask.path, lookup_word(&found))
            });
            match found {
                Lookup::NeedBody { limit } => {
                    let body = ask.body.clone().unwrap_or_default();
                    round.body_refused = body.len() > limit;
                    self.clients[client.0].ask.reads_body = true;
                    continue;
                }
                Lookup::Serve(response) => self.answer_whole(client, &response),
                Lookup::ServeAndRefresh(response, exchange) => {
                    self.answer_whole(client, &response);
                    let load = self.open(process, exchange, None, ask, true);
                    let job = self.loads[load.0].exchange.as_ref().and_then(|run| run.refresh_job());
                    match job {
                        Some(job) => {
                            let job = Box::pin(job.run());
                            self.tasks.push(Task::new(process, Work::Refresh(load, job)));
                        }
                        None => self.application_is_asked(load),
                    }
                }
                Lookup::Forward(exchange) => {
                    let load = self.open(process, exchange, Some(client), ask, false);
                    self.application_is_asked(load);
                }
                Lookup::Load(exchange) => {
                    let load = self.open(process, exchange, Some(client), ask, true);
                    self.loads[load.0].leased = lease;
                    self.application_is_asked(load);
                }
                Lookup::Seek(mut seek) => {
                    let job = seek.job().expect("it is there once");
                    let known = &mut self.clients[client.0];
                    known.standing = Standing::Seeking;
                    known.waits = round.waits;
                    known.seek = Some(seek);
                    self.tasks.push(Task::new(process, Work::Seek(client, Box::pin(job.run()))));
                }
                Lookup::Wait(ticket) => {
                    let known = &mut self.clients[client.0];
                    known.standing = Standing::Waiting;
                    known.waits = round.waits;
                    self.tasks.push(Task::new(process, Work::Wait(client, ticket)));
                }
                Lookup::Raised(error) => {
                    let text = error.downcast_ref::<String>().expect("exceptions are texts here").clone();
                    let known = &mut self.clients[client.0];
                    known.standing = Standing::Raised;
                    known.raised = Some(text);
                }
            }
            return;
        }
    }
}

/// In a word.
pub fn word(sought: &Sought) -> &'static str {
    match sought {
        Sought::Found(_) => "found",
        Sought::Search(_) => "found search",
        Sought::Vary(_) => "found vary",
        Sought::NotStorable => "found not storable",
        Sought::Lease(_) => "has the lease",
        Sought::Nothing => "found nothing",
        Sought::Busy => "found somebody busy",
    }
}

fn end_word(end: &End<Outcome<Bytes>>) -> &'static str {
    match end {
        End::Stored => "waited: stored",
        End::Given(_) => "waited: given",
        End::NotStorable => "waited: not storable",
        End::Failed(_) => "waited: failed",
        End::Abandoned => "waited: abandoned",
    }
}

fn lookup_word(found: &Lookup<Bytes>) -> &'static str {
    match found {
        Lookup::Serve(_) => "serve",
        Lookup::ServeAndRefresh(..) => "serve and refresh",
        Lookup::NeedBody { .. } => "need body",
        Lookup::Forward(_) => "forward",
        Lookup::Load(_) => "load",
        Lookup::Seek(_) => "seek",
        Lookup::Wait(_) => "wait",
        Lookup::Raised(_) => "raised",
    }
}
