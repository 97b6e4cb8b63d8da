use super::*;

fn wrong() -> NodeError {
    NodeError::Another
}

fn missing() -> NodeError {
    NodeError::Missing("block 7".to_owned())
}

fn away() -> NodeError {
    NodeError::Unreachable("connection refused".to_owned())
}

#[test]
fn the_failure_that_says_most_is_told() {
    assert_eq!(most_informative_failure(&[(0, away()), (1, missing())]), missing());
    assert_eq!(most_informative_failure(&[(0, missing()), (1, wrong()), (2, away())]), wrong());
    assert_eq!(most_informative_failure(&[(0, away())]), away());
}
