// The suite's client and its judgement of the results.
//
//   node client.mjs OUT BASE-URL           every test a cache that is not a browser is asked
//   node client.mjs OUT BASE-URL TEST-ID   one test, with what was sent and received on stdout
//
// Writes to OUT one JSON array, in the suite's order: { id, name, section, kind, outcome, detail } of each test.

import { writeFileSync } from 'node:fs'
import fetch from 'node-fetch'
import { runTests, getResults } from 'http-cache-tests/client/runner.mjs'
import { determineTestResult } from 'http-cache-tests/lib/display.mjs'
import sections from 'http-cache-tests/tests/index.mjs'
import surrogate from 'http-cache-tests/tests/surrogate-control.mjs'

// The judgement is a symbol for the console; each has one meaning.
const outcomes = {
  '✅': 'pass',
  '⛔️': 'fail',
  '⚠️': 'missed',
  Y: 'yes',
  N: 'no',
  '🔹': 'setup failed',
  '⁉️': 'harness failed',
  '⚪️': 'dependency failed',
  '↻': 'request repeated',
  '-': 'not run'
}

const [out, base, wanted] = process.argv.slice(2)
const all = [...sections, surrogate]
const chosen = all.map(section => ({
  ...section,
  tests: section.tests.filter(test => !test.browser_only && (wanted === undefined || test.id === wanted))
}))
if (wanted !== undefined) {
  chosen.forEach(section => section.tests.forEach(test => { test.dump = true }))
  if (chosen.every(section => section.tests.length === 0)) {
    console.error(`the suite has no test ${wanted}`)
    process.exit(2)
  }
}

await runTests(chosen, fetch, false, base)

const results = getResults()
const judged = chosen.flatMap(section => section.tests.map(test => {
  const result = results[test.id]
  const symbol = determineTestResult(all, test.id, results, wanted === undefined)[2]
  return {
    id: test.id,
    name: test.name,
    section: section.name,
    kind: test.kind ?? 'required',
    outcome: outcomes[symbol],
    detail: Array.isArray(result) ? result.join(': ') : ''
  }
}))
writeFileSync(out, JSON.stringify(judged, null, 1) + '\n')
