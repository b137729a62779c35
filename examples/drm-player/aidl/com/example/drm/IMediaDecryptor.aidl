package com.example.drm;

import com.example.drm.Frame;
import com.example.drm.Licence;
import com.example.drm.TrackEncryption;

/**
 * Decrypts media segments inside the virtual machine. Keys come in wrapped, to a key pair that the virtual machine makes, and stay; what
 * leaves is a digest of each frame. There is deliberately no method that gives a key or a frame out.
 */
interface IMediaDecryptor {
    const int PORT = 5680;
    const int MAX_SEGMENT_BYTES = 16777216;
    const int MAX_KEYS = 64;
    /** The licence is not for this session, or was changed on its way. */
    const int ERROR_LICENCE = 1;
    /** No licence brought the key of this segment. */
    const int ERROR_NO_KEY = 2;
    /** The segment was changed, or the licence's key is not the one that it was encrypted with. */
    const int ERROR_AUTHENTICATION = 3;
    /** The segment is authentic, and still no media fragment that can be read. */
    const int ERROR_MALFORMED = 4;

    /** The X25519 public key of this session, to which licences are wrapped. Another session has another one. */
    byte[] sessionKey();
    /** Unwraps a key and keeps it. */
    void addLicence(in Licence licence);
    /** Checks, decrypts and parses one fragment (moof and mdat), and gives a digest of each frame. */
    Frame[] decrypt(in TrackEncryption track, in byte[] segment, in byte[] tag);
}
