// The Node SDK of API 3.0, used as its documentation says.
'use strict'

const sdk = require('tencentcloud-sdk-nodejs/tencentcloud/services/bm')
const { Refused, serve } = require('../orders.js')

async function perform(order) {
  const { way, key } = order
  const client = new sdk.bm.v20180423.Client({
    credential: { secretId: key.id, secretKey: key.secret, token: key.token },
    region: 'ap-guangzhou',
    profile: {
      signMethod: way.signature,
      httpProfile: {
        // Without an endpoint it goes to the host that is built in.
        endpoint: way.fixed_host ? undefined : way.host,
        protocol: way.scheme + '://',
        reqMethod: way.method,
        proxy: process.env.HTTPS_PROXY,
      },
    },
  })
  try {
    return await client[order.call](order.with)
  } catch (error) {
    if (!error.code) throw error
    throw new Refused({ code: error.code, message: error.message, request_id: error.requestId })
  }
}

serve(require('tencentcloud-sdk-nodejs/package.json').version, perform)
