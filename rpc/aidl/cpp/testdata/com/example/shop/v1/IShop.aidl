package com.example.shop.v1;

import com.example.shop.v1.Item;

/** As it was. */
@Descriptor(value="com.example.shop.IShop")
interface IShop {
    Item improve(in Item item);
}
