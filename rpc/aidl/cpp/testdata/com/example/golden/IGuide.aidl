package com.example.golden;

import com.example.golden.IListener;

/**
 * Shows the way.
 *
 * As an example of what is generated.
 */
interface IGuide {
    /** No way at all. */
    const int ERROR_LOST = -1;
    const String NAME = "guide";

    /** Where to go. */
    @Backing(type="byte")
    enum Direction {
        LEFT = 1,
        RIGHT,
    }

    parcelable Place {
        String name;
        /** In metres. */
        double[2] position;
        @nullable IListener listener;
        @nullable Place[] nearby;
    }

    union Target {
        Place place;
        int number = 7;
    }

    /**
     * The way to a place.
     *
     * @return each turn
     */
    Direction[] find(in Target target, out byte[] map, inout Place here) = 1;
    /** @deprecated use find() */
    @nullable String describe(in @nullable String language, in int[] levels) = 2;
    void listen(IListener listener) = 3;
    oneway void forget(int code) = 20;
    ParcelFileDescriptor open(in ParcelFileDescriptor folder) = 5;
}
