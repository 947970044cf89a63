// Keeps the server's records in memory and remembers every secret that was ever among them.

const SECRETS = new Set([
  'AccessToken', 'RefreshToken', 'AuthorizationCode', 'DeviceCode', 'RegistrationAccessToken',
]);

/** Returns the adapter class for `new Provider`; each issued value is added to the set `issued`. */
export function rememberingAdapter(issued) {
  const records = new Map(); // "Kind:id" → { payload, deadline in ms }

  return class Adapter {
    constructor(kind) {
      this.kind = kind;
    }

    async upsert(id, payload, ttl) {
      if (SECRETS.has(this.kind)) issued.add(id); // the id of an opaque token is the token
      const deadline = ttl ? Date.now() + ttl * 1000 : Infinity;
      records.set(`${this.kind}:${id}`, { payload, deadline });
    }

    async find(id) {
      const record = records.get(`${this.kind}:${id}`);
      return record && record.deadline > Date.now() ? record.payload : undefined;
    }

    async findByUid(uid) {
      return this.#first((payload) => payload.uid === uid);
    }

    async findByUserCode(userCode) {
      return this.#first((payload) => payload.userCode === userCode);
    }

    async consume(id) {
      const record = records.get(`${this.kind}:${id}`);
      if (record) record.payload.consumed = Math.floor(Date.now() / 1000);
    }

    async destroy(id) {
      records.delete(`${this.kind}:${id}`);
    }

    async revokeByGrantId(grantId) {
      for (const [key, { payload }] of records) {
        if (payload.grantId === grantId && key.startsWith(`${this.kind}:`)) records.delete(key);
      }
    }

    #first(wanted) {
      for (const [key, { payload, deadline }] of records) {
        if (key.startsWith(`${this.kind}:`) && deadline > Date.now() && wanted(payload)) {
          return payload;
        }
      }
      return undefined;
    }
  };
}
