// Turns the installed packages and contracts/ into target/world/artifacts/<Name>.json, each {"abi": [...], "bytecode": "0x..."}.
//
// Published bytecode is taken as its authors shipped it wherever a package carries it: the wallets on mainnet run exactly
// that. Only what no package ships compiled is compiled here. Nothing is fetched; run `npm ci` first.
// Work is skipped when no input changed since the last build, which a digest of the inputs decides, not file times.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, "node_modules");
const out = join(here, "..", "..", "target", "world", "artifacts");
const stamp = join(out, ".stamp");

/** Compilers by source folder: the legacy multisig is Solidity 0.5, everything of ours is 0.8. */
const COMPILED = [
  { compiler: "solc", folder: "contracts/legacy", evmVersion: "istanbul", keep: ["MultiSigWallet", "MultiSigWalletWithDailyLimit"] },
  { compiler: "solc-0.8", folder: "contracts", evmVersion: "cancun", keep: null },
];

/** OpenZeppelin contracts that tests deploy as they are; contracts/Parts.sol imports them so that they get compiled. */
const OPENZEPPELIN = [
  "TimelockController",
  "ERC1967Proxy",
  "TransparentUpgradeableProxy",
  "ProxyAdmin",
  "UpgradeableBeacon",
  "BeaconProxy",
  "VestingWallet",
];

/** Artifacts that a package ships, as [name here, path in node_modules]. */
function shipped() {
  const old = (file) => `safe-1.1.1/build/contracts/${file}.json`;
  const list = [
    ["Safe-1.1.1", old("GnosisSafe")],
    ["ProxyFactory-1.1.1", old("ProxyFactory")],
    ["MultiSend-1.1.1", old("MultiSend")],
    ["FallbackHandler-1.1.1", old("DefaultCallbackHandler")],
    ["SafeMigration-1.5.0", "safe-1.5.0/build/artifacts/contracts/libraries/SafeMigration.sol/SafeMigration.json"],
    ["SignMessageLib-1.3.0", "safe-1.3.0/build/artifacts/contracts/examples/libraries/SignMessage.sol/SignMessageLib.json"],
    ["WETH9", "canonical-weth/build/contracts/WETH9.json"],
  ];
  for (const version of ["0.6", "0.7", "0.8"]) {
    const at = (name) => `account-abstraction-${version}/artifacts/${name}.json`;
    list.push([`EntryPoint-${version}`, at("EntryPoint")], [`SimpleAccount-${version}`, at("SimpleAccount")]);
  }
  for (const version of ["1.3.0", "1.4.1", "1.5.0"]) {
    const safe = version === "1.3.0" ? "GnosisSafe" : "Safe";
    const at = (file, name) => `safe-${version}/build/artifacts/contracts/${file}.sol/${name}.json`;
    list.push(
      [`Safe-${version}`, at(safe, safe)],
      [`SafeL2-${version}`, at(`${safe}L2`, `${safe}L2`)],
      [`ProxyFactory-${version}`, at(`proxies/${safe}ProxyFactory`, `${safe}ProxyFactory`)],
      [`MultiSend-${version}`, at("libraries/MultiSend", "MultiSend")],
      [`MultiSendCallOnly-${version}`, at("libraries/MultiSendCallOnly", "MultiSendCallOnly")],
      [`FallbackHandler-${version}`, at("handler/CompatibilityFallbackHandler", "CompatibilityFallbackHandler")],
    );
    if (version !== "1.3.0") list.push([`SignMessageLib-${version}`, at("libraries/SignMessageLib", "SignMessageLib")]);
  }
  return list;
}

/** Runs one compiler over one folder (not its subfolders) and returns name -> {abi, bytecode}. */
function compile({ compiler, folder, evmVersion, keep }) {
  const solc = require(compiler);
  const files = readdirSync(join(here, folder)).filter((file) => file.endsWith(".sol")).sort();
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(files.map((file) => [file, { content: readFileSync(join(here, folder, file), "utf8") }])),
    settings: {
      evmVersion,
      optimizer: { enabled: true, runs: 200 },
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
    },
  };
  const load = (path) => {
    for (const at of [join(here, folder, path), join(modules, path)]) {
      if (existsSync(at)) return { contents: readFileSync(at, "utf8") };
    }
    return { error: `${path} is in neither ${folder} nor node_modules` };
  };
  // Solidity 0.5 takes the bare callback, later ones an object.
  const callback = compiler === "solc" ? load : { import: load };
  const output = JSON.parse(solc.compile(JSON.stringify(input), callback));
  const errors = (output.errors ?? []).filter((problem) => problem.severity === "error");
  if (errors.length > 0) throw new Error(errors.map((problem) => problem.formattedMessage).join("\n"));

  const found = {};
  for (const [file, contracts] of Object.entries(output.contracts)) {
    for (const [name, { abi, evm }] of Object.entries(contracts)) {
      const ours = files.includes(file);
      if (keep ? !keep.includes(name) : !ours && !OPENZEPPELIN.includes(name)) continue;
      found[name] = { abi, bytecode: `0x${evm.bytecode.object}` };
    }
  }
  return found;
}

/** MiniMe ships its build as a JavaScript module with one export per part. */
function minime() {
  const built = require("minimetoken/build/MiniMeToken.sol.js");
  return Object.fromEntries(
    ["MiniMeToken", "MiniMeTokenFactory"].map((name) => [name, { abi: built[`${name}Abi`], bytecode: built[`${name}ByteCode`] }]),
  );
}

function digest() {
  const hash = createHash("sha256");
  const inputs = ["build.mjs", "package-lock.json"];
  for (const { folder } of COMPILED) {
    for (const file of readdirSync(join(here, folder)).sort()) if (file.endsWith(".sol")) inputs.push(join(folder, file));
  }
  for (const file of inputs) hash.update(file).update("\0").update(readFileSync(join(here, file))).update("\0");
  return hash.digest("hex");
}

const wanted = digest();
if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) {
  console.log("world: artifacts are up to date");
  process.exit(0);
}
if (!existsSync(modules)) {
  console.error("world: node_modules is missing, run `npm ci` in tests/world first");
  process.exit(1);
}

const started = Date.now();
const artifacts = { ...minime() };
for (const [name, path] of shipped()) {
  const { abi, bytecode } = JSON.parse(readFileSync(join(modules, path), "utf8"));
  artifacts[name] = { abi, bytecode };
}
for (const unit of COMPILED) Object.assign(artifacts, compile(unit));

for (const [name, { abi, bytecode }] of Object.entries(artifacts)) {
  if (!Array.isArray(abi) || !/^0x([0-9a-fA-F]{2})*$/.test(bytecode)) throw new Error(`${name}: not a complete artifact`);
}
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
for (const [name, artifact] of Object.entries(artifacts)) writeFileSync(join(out, `${name}.json`), JSON.stringify(artifact));
// Written last: a build that stops halfway is done again.
writeFileSync(stamp, wanted);
console.log(`world: ${Object.keys(artifacts).length} artifacts in ${relative(process.cwd(), out)} after ${Date.now() - started} ms`);
