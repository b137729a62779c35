package com.example.biometric;

import com.example.biometric.MatchResult;

/**
 * Keeps fingerprint templates inside the virtual machine and compares with them there. There is deliberately no method that gives a
 * template out.
 */
interface IBiometricMatcher {
    const int PORT = 5679;
    /** Values in a feature vector. */
    const int FEATURES = 128;
    const int MAX_IDENTITIES = 1000;
    const int ERROR_TOO_MANY = 1;

    /** Adds one more view of a finger. EX_ILLEGAL_ARGUMENT unless it has FEATURES finite values, not all of them zero. */
    void enroll(String identity, in float[] features);
    /** The best match of all templates that is good enough. */
    MatchResult identify(in float[] features);
    /** Whether it is this person. */
    MatchResult verify(String identity, in float[] features);
    /** Forgets a person; false if there was none. */
    boolean remove(String identity);
    int countIdentities();
}
