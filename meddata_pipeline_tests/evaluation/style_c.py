"""Author C: nursing notes, telephone follow-up with dialogue, consultation letters in flowing prose.

For the figures only: nobody may look at errors on this author when rules or lists are written.
"""

from __future__ import annotations

import datetime as dt
from random import Random
from typing import ClassVar

from meddata_pipeline_tests.evaluation import values
from meddata_pipeline_tests.evaluation.style import People, Section, Style

_HAN = "〇一二三四五六七八九"


def _numeral(n: int) -> str:
    if n <= 10:
        return "零一二三四五六七八九十"[n]
    tens, ones = divmod(n, 10)
    return ("" if tens == 1 else _HAN[tens]) + "十" + (_HAN[ones] if ones else "")


class StyleC(Style):
    """Whole paragraphs, spoken words, dates as people say them."""

    name = "C"
    people: ClassVar[People] = People(
        surnames="李王张刘杨陈赵马孙高崔吴郭宋徐韩胡于朱何唐冯曹邓董曾田程袁蒋潘付梁姜任杜范姚卢谭薛石贾尹常史邢侯郝毕庞牛樊葛耿滕祁甄雍柏茅岳齐尚边苗盛褚焦谷聂靳宁佟关鄂那车栾鞠迟宫隋丛衣逄",
        given="长山秀兰俊杰凤英桂荣宝玲占魁铁柱连生守义成林洪波艳红晓光雨桐佳琪皓天子轩思彤若溪景行予安书瑶奕辰沐阳知夏云舒慧敏淑华桂芝凤霞文静学勤忠诚孝先德厚传喜殿臣希望向阳卫东援朝跃进",
        compound=("欧阳", "东郭", "百里", "呼延", "长孙", "轩辕", "闻人"),
        minority=(
            "斯琴高娃",
            "苏日娜",
            "卡米力·玉苏甫",
            "帕提古丽·沙吾提",
            "次旦央吉",
            "洛桑尼玛",
            "乌日图那顺",
            "迪丽努尔·阿卜力米提",
        ),
        latin=(("Zhao", "Changshan"), ("Ma", "Xiulan"), ("Sun", "Junjie"), ("Gao", "Fengying"), ("Cui", "Yuhan")),
    )
    words: ClassVar[dict[str, tuple[str, ...]]] = {
        "state": (
            *("切口敷料干燥", "引流管通畅，引出淡红色液体", "留置针处无红肿", "翻身拍背", "夜间睡眠差", "生命体征平稳"),
            *(
                "体温正常",
                "大便已解",
                "进半流质饮食",
                "疼痛评分2分",
                "压疮风险评分14分",
                "牙龈仍有轻微肿胀",
                "缝线已脱落",
            ),
        ),
        "illness": (
            *(
                "股骨颈骨折",
                "急性胰腺炎",
                "肺部感染",
                "子痫前期",
                "甲状腺结节",
                "阻生牙",
                "根尖周囊肿",
                "慢性肾脏病4期",
            ),
            *(
                "亨廷顿舞蹈病",
                "威尔逊病",
                "多发性骨髓瘤",
                "强直性脊柱炎",
                "白血病",
                "艾森曼格综合征",
                "史蒂文斯-约翰逊综合征",
            ),
        ),
        "medicine": (
            *(
                "甲钴胺片",
                "碳酸钙D3片600mg",
                "低分子肝素4000IU",
                "头孢呋辛酯0.25g",
                "对乙酰氨基酚",
                "乳果糖15ml",
                "曲马多50mg",
            ),
            *("赖脯胰岛素8U", "氯吡格雷75mg", "金水宝胶囊", "麦味地黄丸", "杜仲颗粒", "洛索洛芬钠60mg", "康复新液"),
        ),
        "act": (
            "更换敷料",
            "导尿",
            "雾化吸入",
            "口腔护理",
            "静脉采血",
            "吸氧3L/min",
            "会阴擦洗",
            "拔除引流管",
            "康复训练",
            "膀胱冲洗",
        ),
        "micro": (
            *(
                "镜下见大量中性粒细胞浸润",
                "腺体结构紊乱，核分裂象易见",
                "鳞状上皮增生伴角化",
                "淋巴结未见癌转移（0/12）",
            ),
            *("免疫组化：Ki-67（30%+），CK（+），CD20（-）", "肉芽组织形成", "囊壁内衬复层鳞状上皮", "HER2（2+）"),
        ),
        "specimen": (
            "（左下颌）囊壁样组织",
            "（胃窦）活检组织",
            "（右乳）肿物切除标本",
            "（胆囊）切除标本",
            "（牙龈）肿物",
        ),
    }
    fillers: ClassVar[dict[str, tuple[str, ...]]] = {
        "kinship": ("老伴", "闺女", "儿子", "大儿媳", "外甥女", "弟弟", "妹妹", "孙女婿"),
        "feel": ("情绪稳定", "比较焦虑", "表示感谢", "对疗效满意", "有些不放心", "答应按时来"),
        "shift": ("白班", "夜班", "小夜班", "早班"),
    }
    titles: ClassVar[tuple[str, ...]] = ("主任", "大夫", "医生", "护士长", "教授", "护士")
    courtesies: ClassVar[tuple[str, ...]] = ("大爷", "大妈", "先生", "女士", "阿姨", "老师", "大姐")
    hospitals: ClassVar[tuple[str, ...]] = (
        *("牡丹江市红旗医院", "吉林大学中日联谊医院", "威海市文登区人民医院", "通辽市蒙医医院", "沧州市中西医结合医院"),
        *("青岛西海岸新区中心医院", "锦州医科大学附属第一医院", "承德县大营子乡卫生院"),
    )
    wards: ClassVar[tuple[str, ...]] = (
        "骨科二病区",
        "产科一病区",
        "肾内科血透三病区",
        "老年病科四病区",
        "胸外科七病区",
    )
    joint: ClassVar[str] = ""
    sections: ClassVar[tuple[Section, ...]] = (
        (
            1.0,
            (
                "{date}电话随访，接听人为患者{kinship}{kin}，号码{kin_mobile}。",
                "{date}{shift}护理记录：{ward}患者{patient}，{age}，因{illness}于{past}入院。",
                "{hospital}病理诊断报告。病理号{path_no}，患者{patient}，{age}，送检医院{other_hospital}，收到日期{past}，送检物{specimen}。",
                "尊敬的{titled}：您好，兹转去患者{patient}一名，年龄{age_number}岁，因{illness}在我处治疗，病历号为{record_no}。",
                "{part_date}下午，随访员{nurse}按预留的{mobile}拨打三次，第三次由{courteous}本人接听。",
                "随访对象：{patient}（{record_no}），末次就诊{past}，随访方式为电话，本次通话时间{date}。",
            ),
        ),
        (
            1.0,
            (
                "问：“请问是{patient}家吗？”答：“是，我是他{kinship}。”问：“术后恢复得怎么样？”答：“{state}，就是偶尔还疼，药还在吃，{medicine}，一天两回。”",
                "患者诉{state}，遵医嘱予{medicine}，{act}，过程顺利，{state}。责任护士{nurse}已做健康宣教，患者及{kinship}{kin}能复述要点。",
                "大体所见：{specimen}一块，大小2.5×1.8×0.6cm，切面灰白。镜下所见：{micro}，{micro}。取材者{tech}，包埋盒编号略。",
                "患者于{past}在我院行手术，术者为{doctor}，一助{stranger}，术后给予{medicine}、{medicine}，{state}，{state}。期间曾由{titled}会诊，意见为继续观察，{act}。",
                "对方说：“我妈叫{patient}，上回是{titled}给看的，{part_date}拆的线。”告知其{state}属正常现象，继续口服{medicine}即可。",
                "{courteous}说最近{state}，血压在{measure}上下，血糖{measure}，没有再发烧。她{kinship}{kin2}补充道，上星期在{other_hospital}又查了一次，大夫{stranger}说问题不大。",
            ),
        ),
        (
            0.8,
            (
                "{shift}交班：{state}，{state}，体温{measure}，心率{measure}，予{act}、{act}，夜间巡视三次，{kinship}陪护，{feel}。",
                "查阅系统，其登记住址为{address}，现已搬至{new_address}，一并更新。",
                "患者{feel}，补充联系方式：{kinship}{kin2}，{new_mobile}，家中电话{landline}。",
                "病理诊断：{specimen}，{micro}，符合{illness}。建议结合临床，必要时加做免疫组化。",
                "家里人商量后同意转到{other_hospital}继续治疗，联系人{stranger}，{part_date}前办妥手续，途中携带{medicine}。",
                "宣教内容包括{act}、饮食及用药，{medicine}须饭后服，出现不适随时拨打{hotline}。",
            ),
        ),
        (
            0.4,
            (
                "为办理报销，核对身份证件，号码是{resident_id}，医保卡号{insurance}。",
                "因信息有误，将证件由{old_id}改为{resident_id}，核对人{nurse}。",
                "家属留了微信，账号是{wechat}，也可以加QQ：{qq}，照片发到邮箱{email}。",
                "退款请打到她的银行卡，卡号{bank_card}，户名{kin}。",
                "来访者系港澳同胞，出示回乡证{hkm_permit}，陪同者持台胞证{tw_permit}。",
                "外籍配偶登记护照{passport}；患者本人为现役，军官证为{officer_card}。",
                "送诊车辆车牌{plate}，停于急诊通道。",
                "影像已上传至{url}，工作站地址{ip}，仪器序列号{device}。",
                "门诊号{visit_no}与检查号{exam_no}对应不上，已请{tech}核实。",
            ),
        ),
        (
            0.7,
            (
                "医生{doctor}嘱{later}回院复查，{kinship}{feel}。",
                "约好{later}再打一次，到时请{titled}亲自解答，{courteous}{feel}。",
                "{state}，{act}后安返病房。以上情况已报告{titled}，未予特殊处理。",
                "{range}期间请勿剧烈运动，{medicine}减半服用，复查血常规和{measure}以下为达标。",
            ),
        ),
        (
            0.9,
            (
                "随访人：{nurse}。",
                "报告医师{doctor}，复核{doctor2}，报告日期{date}。",
                "（{nurse}记录于{date}）",
                "此致敬礼！{hospital}{doctor}，{date}",
                "护士签字{nurse}，带教老师{doctor2}。",
            ),
        ),
    )
    free: ClassVar[tuple[Section, ...]] = (
        (
            1.0,
            (
                "{shift}接班时患者神志清楚，{state}，{state}，体温{measure}，脉搏{measure}，遵医嘱予{medicine}，{act}。",
                "问：“最近怎么样？”答：“还行，{state}，走路多了还是疼，{medicine}吃完了，想再开点。”",
                "送检{specimen}，大小3.0×2.0×1.0cm，切面灰红，质中，界限尚清。镜下：{micro}，{micro}，间质水肿。",
                "此次因{illness}入住我科，病程较长，曾先后使用{medicine}及{medicine}，疗效一般，{state}。",
            ),
        ),
        (
            1.0,
            (
                "向家属说明{illness}的转归，家属{feel}，要求尽早康复训练。严格床旁交接，高危跌倒，加床档保护，保持管道通畅，温水擦浴。",
                "随访中了解到其能自理，常在小区散步，食欲好，于家中自测血压{measure}，血糖{measure}，偶有头昏。何时停药需门诊评估。",
                "免疫组化结果提示{micro}，综合考虑{illness}可能性大，建议必要时行基因检测，严密随访。",
                "目前主要问题：{illness}，营养不良，易感染。高蛋白饮食，向患者讲解{act}的目的和方法，取得配合。",
            ),
        ),
        (
            1.0,
            (
                "{act}，{act}，操作顺利，{state}；{medicine}按时服用，未诉不适，{feel}。",
                "结论：{illness}。说明：{micro}；部分区域{micro}，余未见特殊。",
                "嘱其安静休息，单腿负重训练，计划两周后门诊复查，路上注意安全，有异常时及时就医。",
            ),
        ),
        (
            0.8,
            (
                "护理评价：{state}，焦虑减轻，掌握了服药方法，应继续{act}。",
                "注意{medicine}的不良反应，包括恶心、皮疹等；任何时候出现呼吸困难应立即就诊。",
            ),
        ),
    )

    def address(self, rng: Random) -> str:
        place = rng.choice(
            (
                "山东省威海市文登区",
                "河北省沧州市运河区",
                "牡丹江市爱民区",
                "内蒙古通辽市科尔沁区",
                "青岛市黄岛区",
                "辽宁省锦州市凌河区",
            )
        )
        if rng.random() < 0.35:
            return (
                place
                + rng.choice(("宋村镇石羊村", "大林镇保安村", "泊里镇河西庄", "小营乡东堡子屯"))
                + f"{rng.randint(1, 300)}号"
            )
        street = rng.choice(("昆嵛路", "解放西路", "西三条路", "霍林河大街", "漓江西路", "云飞街"))
        return (
            place
            + street
            + f"{rng.randint(1, 400)}号{rng.choice(('', '院', '家属院'))}{rng.randint(1, 40)}号楼{rng.randint(1, 5)}单元{rng.randint(1, 30)}0{rng.randint(1, 3)}"
        )

    def date(self, rng: Random, day: dt.date) -> str:
        y, m, d = day.year, day.month, day.day
        said = "".join(_HAN[int(c)] for c in str(y))
        return rng.choice(
            (
                *(
                    f"{y}年{m}月{d}日",
                    f"{said}年{_numeral(m)}月{_numeral(d)}日",
                    f"{y}年{m}月{d}号",
                    f"{y % 100}年{m}月{d}日",
                ),
                *(f"{y}-{m:02d}-{d:02d}", f"{y}年{m}月{d}日", f"{y}年{m:02d}月{d:02d}日"),
            )
        )

    def part_date(self, rng: Random, day: dt.date) -> str:
        m, d = day.month, day.day
        return rng.choice(
            (
                f"{m}月{d}日",
                f"{m}月{d}号",
                f"{_numeral(m)}月{_numeral(d)}日",
                f"今年{m}月{d}日",
                f"去年{m}月",
                "正月初六",
            )
        )

    def spell(self, rng: Random, kind: str, value: str) -> str:
        chance = rng.random()
        if kind.endswith("mobile"):
            if chance < 0.15:
                return "".join("零幺二三四五六七八九"[int(c)] for c in value)
            if chance < 0.35:
                return f"{value[:3]} {value[3:7]} {value[7:]}"
            if chance < 0.45:
                return f"{value[:4]}-{value[4:8]}-{value[8:]}"
            if chance < 0.55:
                return f"＋86－{value}"
        if kind == "hotline":
            return f"{value[:4]}-{value[4:7]}-{value[7:]}" if chance < 0.5 else value
        if kind == "resident_id" and chance < 0.2:
            return f"{value[:6]}-{value[6:14]}-{value[14:]}"
        if kind == "bank_card" and chance < 0.5:
            return f"{value[:6]} {value[6:]}"
        return value

    def landline(self, rng: Random, area: str, local: str) -> str:
        return rng.choice(
            (
                f"{area}－{local}",
                f"{area}{local}",
                f"（{area}）{local[:4]} {local[4:]}",
                f"{area}-{local}转分机{rng.randint(10, 999)}",
            )
        )

    def record_number(self, rng: Random, kind: str) -> str:
        return {
            "record_no": "ZY" + values.digits(rng, 8),
            "visit_no": values.digits(rng, 10),
            "exam_no": "US" + values.digits(rng, 8),
            "path_no": "P" + values.digits(rng, 7),
        }[kind]
