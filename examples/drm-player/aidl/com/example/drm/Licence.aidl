package com.example.drm;

/**
 * A content key for one session: X25519 between the session's and the sender's key, HKDF-SHA256, then AES-256-GCM of the 16 bytes of the key
 * with the key's name as additional data.
 */
parcelable Licence {
    /** 16 bytes; the "KID" of Common Encryption. */
    byte[] keyId;
    /** The sender's X25519 key, made for this licence. */
    byte[] senderKey;
    /** 12 bytes. */
    byte[] nonce;
    /** The encrypted key, and 16 bytes of tag. */
    byte[] wrappedKey;
}
