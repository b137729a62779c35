package com.example.biometric;

parcelable MatchResult {
    boolean matched = false;
    /** 0 to 1: how alike the probe and the best template are. */
    float score = 0.0f;
    /** Who it is; empty if nobody matched. */
    String identity;
}
