package com.example.drm;

/** How a track is encrypted: what the boxes 'schm' and 'tenc' of its header say (ISO/IEC 23001-7). */
parcelable TrackEncryption {
    @Backing(type="byte")
    enum Scheme {
        /** AES-128 in counter mode, an IV for each frame. */
        CENC = 0,
        /** AES-128-CBC of a pattern of blocks, one IV for all. */
        CBCS = 1,
    }
    Scheme scheme = Scheme.CENC;
    byte[] keyId;
    /** CBCS: 16 bytes. */
    byte[] constantIv;
    /** CBCS: so many blocks of 16 bytes are encrypted, */
    int cryptBlocks = 0;
    /** then so many are not, and so on. */
    int skipBlocks = 0;
}
