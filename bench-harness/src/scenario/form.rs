//! A scenario as a person writes it: one set of names for the command line and for files, every one of them optional.
//! Forms are laid over a [`Scenario`] one after another, the later wins; nothing is proved here but that one form does not
//! say two things at once.

use serde::Deserialize;

use super::quantity::{Count, Number, Seconds, Written};
use super::{Exchange, Length, Pick, Rate, Scenario, Sharing, Size};

/// What was written of a scenario. In a file the names are the same, with hyphens.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Form {
    #[arg(skip)]
    pub about: Option<String>,
    /// Connections that publish; with requests those that ask
    #[arg(long, value_name = "COUNT", help_heading = LOAD)]
    pub publishers: Option<Written<Count>>,
    /// Connections that subscribe; with requests those that answer
    #[arg(long, value_name = "COUNT", help_heading = LOAD)]
    pub subscribers: Option<Written<Count>>,
    /// Who gets a message: all subscribers, or the subjects dealt out among them [all, dealt]
    #[arg(long, value_name = "HOW", help_heading = LOAD, conflicts_with = "queue_groups")]
    pub sharing: Option<Written<Sharing>>,
    /// The subscribers form this many queue groups; each group gets a message once
    #[arg(long, value_name = "COUNT", help_heading = LOAD)]
    pub queue_groups: Option<Written<Count>>,
    #[arg(skip)]
    pub request: Option<bool>,
    /// Requests that each asking connection keeps under way (implies --request)
    #[arg(long, value_name = "COUNT", help_heading = LOAD)]
    pub in_flight: Option<Written<Count>>,
    /// Distinct subjects
    #[arg(long, value_name = "COUNT", help_heading = LOAD)]
    pub subjects: Option<Written<Count>>,
    /// Tokens of a subject
    #[arg(long, value_name = "COUNT", help_heading = LOAD)]
    pub depth: Option<Written<Count>>,
    /// Share of wildcards among the subscriptions, 0 to 1; with 0 each subject has a subscription of its own
    #[arg(long, value_name = "SHARE", help_heading = LOAD)]
    pub wildcards: Option<Written<Number>>,
    /// Which subject is next [in-turn, own, uniform, zipf:EXPONENT]
    #[arg(long, value_name = "HOW", help_heading = LOAD, conflicts_with_all = ["zipf", "uniform"])]
    pub pick: Option<Written<Pick>>,
    /// Few subjects get most messages: the same as --pick zipf:EXPONENT
    #[arg(long, value_name = "EXPONENT", help_heading = LOAD, conflicts_with = "uniform")]
    pub zipf: Option<Written<Number>>,
    /// Bytes of a payload: 128, 16KiB, 16..4096 (each length equally likely), 16:0.9,4096:0.1 (weights)
    #[arg(long, value_name = "BYTES", help_heading = LOAD)]
    pub size: Option<Written<Size>>,
    /// Messages a second of all publishers, each sent at its intended time; or max
    #[arg(long, value_name = "RATE", help_heading = LOAD)]
    pub rate: Option<Written<Rate>>,
    /// How long to measure: 10s, 500ms, 2m
    #[arg(long, value_name = "TIME", help_heading = LOAD, conflicts_with = "messages")]
    pub duration: Option<Written<Seconds>>,
    /// How many messages to measure, instead of a duration: 1M
    #[arg(long, value_name = "COUNT", help_heading = LOAD)]
    pub messages: Option<Written<Count>>,
    /// Load before the measurement that is not counted
    #[arg(long, value_name = "TIME", help_heading = LOAD)]
    pub warm_up: Option<Written<Seconds>>,
    /// Subscriptions made and given up a second, on a connection of their own
    #[arg(long, value_name = "RATE", help_heading = LOAD)]
    pub churn: Option<Written<Number>>,
    /// Connections that only wait, with one subscription each
    #[arg(long, value_name = "COUNT", help_heading = LOAD)]
    pub idle: Option<Written<Count>>,
    #[arg(skip)]
    pub verify: Option<bool>,
    #[arg(skip)]
    pub latency: Option<bool>,
}

const LOAD: &str = "The load";

impl Form {
    /// Every name that a file may use, for the nearest one to a typo.
    pub(crate) const NAMES: [&str; 21] = [
        "about",
        "publishers",
        "subscribers",
        "sharing",
        "queue-groups",
        "request",
        "in-flight",
        "subjects",
        "depth",
        "wildcards",
        "pick",
        "zipf",
        "size",
        "rate",
        "duration",
        "messages",
        "warm-up",
        "churn",
        "idle",
        "verify",
        "latency",
    ];

    /// How a field of a [`Scenario`] is called here, to speak of it in messages.
    pub(crate) fn name_of(field: &str) -> &str {
        match field {
            "in_flight" => "in-flight",
            "subjects.count" => "subjects",
            "subjects.depth" => "depth",
            "subjects.wildcard_share" => "wildcards",
            "subjects.pick.exponent" => "zipf",
            "size.weight" => "size",
            "idle_connections" => "idle",
            "warm_up_s" => "warm-up",
            "churn_per_s" => "churn",
            "length" => "duration",
            other => other,
        }
    }

    /// Lays what was written over `scenario`.
    pub fn apply(&self, scenario: &mut Scenario) -> Result<(), String> {
        self.contradiction()?;
        set(&mut scenario.about, self.about.clone());
        set_count(&mut scenario.publishers, "publishers", &self.publishers)?;
        set_count(&mut scenario.subscribers, "subscribers", &self.subscribers)?;
        set_count(&mut scenario.idle_connections, "idle", &self.idle)?;
        set(&mut scenario.size, written(&self.size));
        set(&mut scenario.rate, written(&self.rate));
        set(
            &mut scenario.warm_up_s,
            written(&self.warm_up).map(|Seconds(s)| s),
        );
        set(
            &mut scenario.churn_per_s,
            written(&self.churn).map(|Number(rate)| rate),
        );
        set(&mut scenario.verify, self.verify);
        set(&mut scenario.latency, self.latency);
        self.apply_sharing(scenario)?;
        self.apply_exchange(scenario)?;
        self.apply_subjects(scenario)?;
        self.apply_length(scenario);
        Ok(())
    }

    fn contradiction(&self) -> Result<(), String> {
        let pairs = [
            (
                "sharing",
                self.sharing.is_some(),
                "queue-groups",
                self.queue_groups.is_some(),
            ),
            ("pick", self.pick.is_some(), "zipf", self.zipf.is_some()),
            (
                "duration",
                self.duration.is_some(),
                "messages",
                self.messages.is_some(),
            ),
            (
                "request = false",
                self.request == Some(false),
                "in-flight",
                self.in_flight.is_some(),
            ),
        ];
        match pairs.iter().find(|(_, one, _, other)| *one && *other) {
            None => Ok(()),
            Some((one, _, other, _)) => Err(format!(
                "`{one}` and `{other}` cannot both be given: leave one out"
            )),
        }
    }

    fn apply_sharing(&self, scenario: &mut Scenario) -> Result<(), String> {
        set(&mut scenario.sharing, written(&self.sharing));
        let mut groups = 0;
        set_count(&mut groups, "queue-groups", &self.queue_groups)?;
        if self.queue_groups.is_some() {
            scenario.sharing = Sharing::Groups(groups);
        }
        Ok(())
    }

    fn apply_exchange(&self, scenario: &mut Scenario) -> Result<(), String> {
        let mut in_flight = match scenario.exchange {
            Exchange::Request { in_flight } => in_flight,
            Exchange::Publish => 1,
        };
        set_count(&mut in_flight, "in-flight", &self.in_flight)?;
        let was_request = matches!(scenario.exchange, Exchange::Request { .. });
        let is_implied = was_request || self.in_flight.is_some();
        let is_request = self.request.unwrap_or(is_implied);
        scenario.exchange = if is_request {
            Exchange::Request { in_flight }
        } else {
            Exchange::Publish
        };
        Ok(())
    }

    fn apply_subjects(&self, scenario: &mut Scenario) -> Result<(), String> {
        let subjects = &mut scenario.subjects;
        set_count(&mut subjects.count, "subjects", &self.subjects)?;
        set_count(&mut subjects.depth, "depth", &self.depth)?;
        set(
            &mut subjects.wildcard_share,
            written(&self.wildcards).map(|Number(share)| share),
        );
        set(&mut subjects.pick, written(&self.pick));
        if let Some(Written(Number(exponent))) = self.zipf {
            subjects.pick = Pick::Zipf { exponent };
        }
        Ok(())
    }

    fn apply_length(&self, scenario: &mut Scenario) {
        if let Some(Written(Seconds(seconds))) = self.duration {
            scenario.length = Length::Seconds(seconds);
        }
        if let Some(Written(Count(messages))) = self.messages {
            scenario.length = Length::Messages(messages);
        }
    }
}

fn written<T: Clone>(value: &Option<Written<T>>) -> Option<T> {
    value.as_ref().map(|Written(value)| value.clone())
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn set_count(field: &mut u32, name: &str, value: &Option<Written<Count>>) -> Result<(), String> {
    if let Some(Written(Count(count))) = value {
        *field = u32::try_from(*count).map_err(|_| format!("{name}: {count} is too many"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        toml::from_str(text).expect(text)
    }

    fn applied(texts: &[&str]) -> Scenario {
        let mut scenario = Scenario::default();
        for text in texts {
            form(text).apply(&mut scenario).expect(text);
        }
        scenario
    }

    #[test]
    fn the_names_are_those_that_are_read() {
        let error = toml::from_str::<Form>("nonsense = 1").expect_err("no such name");
        let known: Vec<&str> = error.message().split('`').skip(3).step_by(2).collect();
        assert_eq!(known, Form::NAMES, "{error}");
    }

    #[test]
    fn an_empty_form_changes_nothing() {
        assert_eq!(applied(&["", ""]), Scenario::default());
    }

    #[test]
    fn numbers_are_read_bare_and_as_text() {
        let bare = applied(&["publishers = 4\nsize = 128\nrate = 1000\nduration = 2"]);
        let text = applied(&["publishers = '4'\nsize = '128B'\nrate = '1k'\nduration = '2s'"]);
        assert_eq!(bare, text);
        assert_eq!(bare.rate, Rate::PerSecond(1000.0));
    }

    #[test]
    fn the_later_form_wins() {
        let scenario = applied(&[
            "queue-groups = 1\nzipf = 1.1\nduration = '10s'\nin-flight = 64",
            "sharing = 'dealt'\npick = 'own'\nmessages = '1M'\nrequest = true",
        ]);
        assert_eq!(scenario.sharing, Sharing::Dealt);
        assert_eq!(scenario.subjects.pick, Pick::Own);
        assert_eq!(scenario.length, Length::Messages(1_000_000));
        assert_eq!(scenario.exchange, Exchange::Request { in_flight: 64 });
        let publishing = applied(&["in-flight = 64", "request = false"]);
        assert_eq!(publishing.exchange, Exchange::Publish);
    }

    #[test]
    fn one_form_must_not_say_two_things() {
        for text in [
            "sharing = 'all'\nqueue-groups = 1",
            "pick = 'own'\nzipf = 1",
            "duration = '1s'\nmessages = 5",
            "request = false\nin-flight = 2",
        ] {
            let mut scenario = Scenario::default();
            let error = form(text).apply(&mut scenario).expect_err(text);
            assert!(error.contains("cannot both be given"), "{error}");
        }
    }

    #[test]
    fn a_count_beyond_32_bits_is_refused() {
        let error = form("publishers = '5G'").apply(&mut Scenario::default());
        assert_eq!(error, Err("publishers: 5000000000 is too many".to_owned()));
    }
}
