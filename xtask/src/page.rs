//! Drives the page of `tercet serve` in a browser.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::steps::{program, run, skip_unless_ci};
use crate::{ROOT, tools};

const STEP: &str = "page of the server";

/// The browsers of Debian and of GitHub's machines. The tests bring none of their own.
const BROWSERS: [&str; 2] = ["/usr/bin/chromium", "/usr/bin/google-chrome"];

/// The picture in the documentation.
const PICTURE: &str = "docs/images/page.png";

/// Builds the command and runs `tests/page/`, where this system has Node.js and Chromium or `CI=true`. With `picture`, takes
/// the documentation's picture instead.
pub(crate) fn test(picture: bool) -> Result<()> {
    let Some(browser) = BROWSERS.into_iter().find(|browser| Path::new(browser).exists()) else {
        return skip_unless_ci(STEP, &format!("{} is missing", BROWSERS[0]));
    };
    let packages = match tools::npm_packages() {
        Ok(packages) => packages,
        Err(error) => return skip_unless_ci(STEP, &format!("{error:#}")),
    };
    let program = program()?;
    let mut node = Command::new("node");
    node.current_dir(Path::new(ROOT).join("tests/page"));
    match picture {
        true => node.arg("picture.mjs").arg(Path::new(ROOT).join(PICTURE)),
        // One file after another: each has a browser, and a model that uses every core.
        false => node.args(["--test", "--test-concurrency=1", "--test-reporter=spec"]),
    };
    node.env("TERCET", program).env("CHROMIUM", browser).env("PACKAGES", packages.canonicalize()?);
    run(STEP, node.env("TERCET_NO_TUNE", "1"))
}
