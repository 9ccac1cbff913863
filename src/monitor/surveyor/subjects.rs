//! One level of the tree of subjects, put together from all shards.

use super::Scan;
use crate::base::limits::SURVEYED_SUBSCRIBERS;
use crate::monitor::reply::Refusal;
use crate::session::record::SubscriptionRecord;
use crate::shard::survey::{Below, Branch, Piece, Question};
use std::collections::HashMap;
use std::sync::Arc;

/// Tokens that one level is counted by. A level may have a million, of which nobody reads more than these.
const TOKENS_MAX: usize = 10_000;

/// How subjects go on below a beginning.
#[derive(Debug, Default)]
pub(in crate::monitor) struct Level {
    branches: HashMap<Box<[u8]>, Branch>,
    /// Subscriptions whose token found no place.
    pub(in crate::monitor) left_out: usize,
    /// Some of the subscriptions to the beginning itself, and how many there are.
    pub(in crate::monitor) here: Vec<SubscriptionRecord>,
    pub(in crate::monitor) ending_here: usize,
}

impl Level {
    fn add(&mut self, branch: Branch) {
        if let Some(known) = self.branches.get_mut(&branch.token) {
            known.ending += branch.ending;
            known.below += branch.below;
        } else if self.branches.len() < TOKENS_MAX {
            self.branches.insert(branch.token.clone(), branch);
        } else {
            self.left_out += branch.ending + branch.below;
        }
    }

    /// The branches, those with the most subscriptions first.
    pub(in crate::monitor) fn heaviest_first(&mut self) -> Vec<Branch> {
        let mut branches: Vec<Branch> = self.branches.drain().map(|(_, branch)| branch).collect();
        branches.sort_unstable_by(|one, other| {
            let weight = |branch: &Branch| branch.ending + branch.below;
            let by_weight = weight(other).cmp(&weight(one));
            by_weight.then_with(|| one.token.cmp(&other.token))
        });
        branches
    }
}

impl Scan<'_> {
    /// The level that is wanted.
    pub(in crate::monitor) async fn subjects(&self, below: Below) -> Result<Level, Refusal> {
        let below = Arc::new(below);
        let mut level = Level::default();
        for shard in self.surveyor.shards() {
            let mut from = Some(0);
            while let Some(next) = from.take() {
                let below = Arc::clone(&below);
                let question = Question::Subjects { from: next, below };
                if let Piece::Subjects {
                    branches,
                    here,
                    ending_here,
                    next,
                } = self.surveyor.ask(shard, question).await?
                {
                    branches.into_iter().for_each(|branch| level.add(branch));
                    let room = SURVEYED_SUBSCRIBERS.saturating_sub(level.here.len());
                    level.here.extend(here.into_iter().take(room));
                    level.ending_here += ending_here;
                    from = next;
                }
            }
        }
        Ok(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(token: usize, ending: usize, below: usize) -> Branch {
        let token = token.to_string().into_bytes().into();
        Branch {
            token,
            ending,
            below,
        }
    }

    #[test]
    fn the_same_token_of_several_pieces_is_one_branch() {
        let mut level = Level::default();
        for one in [branch(1, 1, 0), branch(2, 2, 0), branch(1, 0, 3)] {
            level.add(one);
        }
        assert_eq!(level.heaviest_first(), [branch(1, 1, 3), branch(2, 2, 0)]);
    }

    #[test]
    fn tokens_over_the_limit_are_only_counted() {
        let mut level = Level::default();
        for token in 0..TOKENS_MAX {
            level.add(branch(token, 1, 0));
        }
        assert_eq!(level.left_out, 0, "the limit itself is allowed");
        level.add(branch(TOKENS_MAX, 2, 3));
        level.add(branch(0, 1, 0));
        assert_eq!(
            (level.left_out, level.heaviest_first().len()),
            (5, TOKENS_MAX)
        );
    }
}
