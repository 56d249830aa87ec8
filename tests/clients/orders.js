// What the Node clients here share: see orders.py.
'use strict'

const readline = require('readline')

/** The service refused, and the client said so in its own way. */
class Refused extends Error {
  constructor(said) {
    super(JSON.stringify(said))
    this.said = said
  }
}

/** Does every order until there are no more. */
async function serve(version, perform) {
  say({ version })
  for await (const line of readline.createInterface({ input: process.stdin })) {
    try {
      say({ answer: await perform(JSON.parse(line)) })
    } catch (error) {
      say(error instanceof Refused ? { refused: error.said } : { broken: error.stack })
    }
  }
}

function say(what) {
  process.stdout.write(JSON.stringify(what) + '\n')
}

module.exports = { Refused, serve }
