//! Deliveries that somebody looks at: the log with `-V`, and clients that may answer what they get. *Hot path* for these
//! only: a shard that has neither keeps nothing.

/// What has been delivered since somebody looked.
#[derive(Debug, Default)]
pub(super) struct Observed {
    traces: bool,
    traced: Vec<Delivery>,
    /// By slot: whether the connection learns the reply subjects of what it gets.
    answerers: Vec<bool>,
    asked: Vec<Asked>,
}

/// A message that was put into an outbox, for the log.
#[derive(Debug)]
pub struct Delivery {
    /// The slot of the connection that gets it.
    pub connection: u32,
    /// The control line as it is sent.
    pub line: Vec<u8>,
    /// Headers and payload.
    pub body: Vec<u8>,
}

/// A message with a reply subject that was put into the outbox of a client that may answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// The slot of the client's connection.
    pub connection: u32,
    pub reply: Box<[u8]>,
}

impl Observed {
    /// Somebody who looks at all deliveries, if there is one.
    pub(super) fn traces(traces: bool) -> Option<Observed> {
        traces.then(|| Observed {
            traces,
            ..Observed::default()
        })
    }

    /// Changes whether somebody looks at all deliveries.
    pub(super) fn watch_all(observed: &mut Option<Observed>, traces: bool) {
        match observed {
            Some(all) => {
                all.traces = traces;
                all.traced.clear();
                Observed::drop_if_idle(observed);
            }
            None => *observed = Observed::traces(traces),
        }
    }

    /// Changes whether a connection learns of reply subjects.
    pub(super) fn watch_replies(observed: &mut Option<Observed>, connection: u32, watch: bool) {
        if !watch && observed.is_none() {
            return;
        }
        let all = observed.get_or_insert_default();
        let slot = connection as usize;
        if all.answerers.len() <= slot {
            all.answerers.resize(slot + 1, false);
        }
        all.answerers[slot] = watch;
        Observed::drop_if_idle(observed);
    }

    fn drop_if_idle(observed: &mut Option<Observed>) {
        let is_idle = |all: &mut Observed| {
            !all.traces && all.asked.is_empty() && !all.answerers.contains(&true)
        };
        observed.take_if(is_idle);
    }

    /// Notes one message, or a run of messages with the same reply.
    #[cold]
    pub(super) fn note_reply(&mut self, connection: u32, reply: &[u8]) {
        let is_answerer = self.answerers.get(connection as usize) == Some(&true);
        if is_answerer && !reply.is_empty() {
            self.asked.push(Asked {
                connection,
                reply: reply.into(),
            });
        }
    }

    #[cold]
    pub(super) fn note_delivery(&mut self, connection: u32, head: &[u8], tail: &[u8]) {
        if self.traces {
            self.traced.push(Delivery::new(connection, head, tail));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.traced.is_empty() && self.asked.is_empty()
    }

    pub(super) fn take_traced(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.traced)
    }

    pub(super) fn take_asked(&mut self) -> Vec<Asked> {
        std::mem::take(&mut self.asked)
    }
}

impl Delivery {
    fn new(connection: u32, head: &[u8], tail: &[u8]) -> Delivery {
        let line_len = memchr::memchr(b'\n', tail).map_or(tail.len(), |feed| feed + 1);
        let (line, body) = tail.split_at(line_len);
        Delivery {
            connection,
            line: [head, line].concat(),
            body: body.strip_suffix(b"\r\n").unwrap_or(body).to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_who_may_answer_learn_replies() {
        let mut observed = Observed::traces(false);
        Observed::watch_replies(&mut observed, 3, false);
        assert!(observed.is_none());
        Observed::watch_replies(&mut observed, 3, true);
        let all = observed.as_mut().expect("somebody looks");
        all.note_delivery(3, b"MSG a 1 ", b"r 0\r\n\r\n");
        for (connection, reply) in [(3, "r"), (3, ""), (2, "r"), (100, "r")] {
            all.note_reply(connection, reply.as_bytes());
        }
        let asked = Asked {
            connection: 3,
            reply: b"r"[..].into(),
        };
        assert!(!all.is_empty());
        assert_eq!(all.take_asked(), [asked]);
        assert!(all.is_empty() && all.take_traced().is_empty());
        Observed::watch_replies(&mut observed, 3, false);
        assert!(observed.is_none());
    }
}
