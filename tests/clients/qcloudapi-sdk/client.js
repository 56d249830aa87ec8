// The Node SDK of API 2.0, used as its documentation says.
'use strict'

const Capi = require('qcloudapi-sdk')
const { Refused, serve } = require('../orders.js')

const random = Math.random

async function perform(order) {
  const { way, key } = order
  // The SDK draws its nonce from here: 0 is one of its values.
  Math.random = way.nonce === 0 ? () => 0 : random
  const data = { Region: 'gz', Action: order.call, ...order.with }
  if (key.token) data.Token = key.token
  const settings = {
    host: way.host,
    protocol: way.scheme,
    method: way.method,
    signatureMethod: way.signature === 'HmacSHA256' ? 'sha256' : 'sha1',
    maxKeys: way.max_keys ?? undefined,
    SecretId: key.id,
    SecretKey: key.secret,
  }
  const body = await new Promise((resolve, reject) => {
    new Capi(settings).request(data, settings, (error, body) => (error ? reject(error) : resolve(body)))
  })
  const { code, codeDesc, message } = body
  if (code !== 0) throw new Refused({ code, name: codeDesc, message })
  return body.data
}

serve(require('qcloudapi-sdk/package.json').version, perform)
