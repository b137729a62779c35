package com.example.drm;

/** What is told about a decrypted frame. */
parcelable Frame {
    int bytes = 0;
    /** H.264/H.265 network abstraction layer units in it. */
    int nalUnits = 0;
    byte[] sha256;
}
