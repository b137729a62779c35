package com.example.kitchen;

/** Is told what becomes of a dish. */
oneway interface ICook {
    void done(int dish, String message);
    void ping();
}
