package com.example.notes;

// A service as payloads of AVF have them, with something of each kind of type.
interface INotes {
    const int PORT = 5678;
    const String TAG = "notes";

    @Backing(type="int")
    enum Importance { LOW, HIGH }

    parcelable Note {
        @utf8InCpp String text;
        Importance importance = Importance.LOW;
        @nullable byte[] attachment;
    }

    union Query {
        int number = 0;
        String word;
        Note[] like;
    }

    interface IListener {
        oneway void onNote(in Note note);
    }

    int add(in Note note);
    @nullable Note find(in Query query);
    void listen(IListener listener);
    // What AVmPayload_requestAttestation() answers, in words.
    String attest(in byte[] challenge);
    oneway void quit();
}
